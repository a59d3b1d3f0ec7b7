# nginx with the page, and a folder for uploads that a user without rights may write to.
FROM nginx:1.28.0
RUN install --directory --owner 101 --group 101 /var/cache/nginx
COPY web /usr/share/pixmill/web
COPY config/nginx.conf /etc/nginx/nginx.conf
USER 101:101
VOLUME /var/cache/nginx
EXPOSE 8080
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 \
  CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/"]
CMD ["nginx", "-g", "daemon off;"]
